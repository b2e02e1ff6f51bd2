package contexts

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
)

// DefaultUser is the name of the client certificate that a first node makes.
const DefaultUser = "root"

// Context says how to reach nodes.
type Context struct {
	// Name of the context; not part of the file.
	Name string
	// Addrs are host:port of one node or several of the same constellation. At least one.
	Addrs []string
	// CertsDir is the absolute path of the directory with ca.crt and the client's certificate and key.
	CertsDir string
	// User is the name in the client certificate, client.USER.crt. Empty is DefaultUser.
	User string
	// Account and Bucket hold where none is named. Empty: the store's defaults.
	Account, Bucket string
}

// content is a context's file, as far as this package reads it.
type content struct {
	Addr     string `toml:"addr"`
	CertsDir string `toml:"certs-dir"`
	User     string `toml:"user"`
	Account  string `toml:"account"`
	Bucket   any    `toml:"bucket"` // a name, or a number
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// checkName refuses what is no name: it becomes part of a path.
func checkName(name string) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("%w: %q is no name of a context: 1 to 64 letters, digits, '-', '_' and '.', first a letter or digit", ErrInvalid, name)
	}
	return nil
}

func (c *Context) check() error {
	if err := checkName(c.Name); err != nil {
		return err
	}
	if len(c.Addrs) == 0 {
		return fmt.Errorf("%w: context %s has no address", ErrInvalid, c.Name)
	}
	for _, a := range c.Addrs {
		if a == "" || strings.ContainsAny(a, ", \t\r\n") {
			return fmt.Errorf("%w: context %s: %q is no host:port", ErrInvalid, c.Name, a)
		}
	}
	if c.CertsDir != "" && !filepath.IsAbs(c.CertsDir) {
		return fmt.Errorf("%w: context %s: certs-dir %q is no absolute path", ErrInvalid, c.Name, c.CertsDir)
	}
	for _, s := range append([]string{c.CertsDir, c.User, c.Account, c.Bucket}, c.Addrs...) {
		if !utf8.ValidString(s) {
			return fmt.Errorf("%w: context %s: %q is not UTF-8, and files of settings are", ErrInvalid, c.Name, s)
		}
	}
	return nil
}

// encode returns the file.
func (c *Context) encode() []byte {
	var sb strings.Builder
	sb.WriteString("# How to reach the nodes of context " + strconv.Quote(c.Name) + ". Any setting of \"pleiades config show\" may stand here.\n")
	for _, line := range [][2]string{
		{"addr", strings.Join(c.Addrs, ",")},
		{"certs-dir", c.CertsDir},
		{"user", c.User},
		{"account", c.Account},
		{"bucket", c.Bucket},
	} {
		if line[1] != "" {
			sb.WriteString(line[0] + " = " + quote(line[1]) + "\n")
		}
	}
	return []byte(sb.String())
}

// quote returns s as a TOML basic string.
func quote(s string) string {
	var sb strings.Builder
	sb.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			sb.WriteByte('\\')
			sb.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&sb, `\u%04x`, r)
		default:
			sb.WriteRune(r)
		}
	}
	sb.WriteByte('"')
	return sb.String()
}

// parse reads a context's file. path is for errors.
func parse(name, path string, b []byte) (*Context, error) {
	var f content
	if err := toml.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrInvalid, path, err)
	}
	c := &Context{Name: name, CertsDir: f.CertsDir, User: f.User, Account: f.Account}
	switch v := f.Bucket.(type) {
	case nil:
	case string:
		c.Bucket = v
	case int64:
		c.Bucket = strconv.FormatInt(v, 10)
	default:
		return nil, fmt.Errorf("%w: %s: bucket is neither a name nor a number", ErrInvalid, path)
	}
	for a := range strings.SplitSeq(f.Addr, ",") {
		if a = strings.TrimSpace(a); a != "" {
			c.Addrs = append(c.Addrs, a)
		}
	}
	if c.User == "" {
		c.User = DefaultUser
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}
