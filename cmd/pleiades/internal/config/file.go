package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
)

// maxFileBytes bounds a settings file; no honest one comes near.
const maxFileBytes = 1 << 20

// File is a settings file.
type File struct {
	Path string
	// Optional files may be missing.
	Optional bool
	// Context marks the file of a context.
	Context bool
}

type entry struct{ text, origin string }

// parsed is what one file says, by setting.
type parsed map[string]entry

func (f File) read(settings []Setting, others []string) (parsed, error) {
	file, err := os.Open(f.Path)
	if err != nil {
		if f.Optional && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)) {
			return nil, nil
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = exit.WithFix(err, "check --config, --context, PLEIADES_CONFIG and PLEIADES_CONTEXT")
		}
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("reading settings: %w", err)
	}
	if len(b) > maxFileBytes {
		return nil, exit.New(exit.Usage, "check that this is the settings file", "%w: %s is longer than 1 MiB", base.ErrInvalid, f.Path)
	}
	return parse(f.Path, string(b), settings, others)
}

// parse reads name = value lines.
func parse(path, text string, settings []Setting, others []string) (parsed, error) {
	names := make([]string, 0, len(settings)+len(others))
	for _, s := range settings {
		names = append(names, s.Name)
	}
	names = append(names, others...)
	known := make(map[string]bool, len(names))
	for _, name := range names {
		known[name] = true
	}
	out := parsed{}
	for i, line := range strings.Split(text, "\n") {
		origin := path + ":" + strconv.Itoa(i+1)
		fault := func(fix, format string, args ...any) error {
			return exit.New(exit.Usage, fix, "%w: %s: "+format, append([]any{base.ErrInvalid, origin}, args...)...)
		}
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if line[0] == '[' {
			return nil, fault("put all settings in front of any [table]", "tables have no meaning here")
		}
		name, rest, ok := strings.Cut(line, "=")
		name = strings.TrimSpace(name)
		if !ok || name == "" {
			return nil, fault(`write name = value, as in dir = "data"`, "%q is no setting", line)
		}
		if !known[name] {
			return nil, fault(suggestion(name, names, len(settings)), "unknown setting %q", name)
		}
		if first, twice := out[name]; twice {
			return nil, fault("remove one of the lines", "%q is set already in %s", name, first.origin)
		}
		value, err := scalar(strings.TrimSpace(rest))
		if err != nil {
			return nil, fault(`write a "string", a number, true or false`, "%s: %v", name, err)
		}
		out[name] = entry{value, origin}
	}
	return out, nil
}

// scalar reads a TOML string, integer or boolean and an optional comment behind it.
func scalar(s string) (string, error) {
	if s == "" {
		return "", errors.New("no value")
	}
	var value, rest string
	switch s[0] {
	case '"':
		q, err := strconv.QuotedPrefix(s)
		if err != nil {
			return "", errors.New(`a string without its closing "`)
		}
		if value, err = strconv.Unquote(q); err != nil {
			return "", err
		}
		rest = s[len(q):]
	case '\'':
		end := strings.IndexByte(s[1:], '\'')
		if end < 0 {
			return "", errors.New("a string without its closing '")
		}
		value, rest = s[1:1+end], s[end+2:]
	default:
		value, rest = s, ""
		if i := strings.IndexByte(s, '#'); i >= 0 {
			value, rest = strings.TrimSpace(s[:i]), s[i:]
		}
		if value != "true" && value != "false" {
			n, err := strconv.ParseInt(strings.ReplaceAll(value, "_", ""), 0, 64)
			if err != nil {
				return "", fmt.Errorf("%q is no value; text stands in quotes", value)
			}
			value = strconv.FormatInt(n, 10)
		}
	}
	if rest = strings.TrimSpace(rest); rest != "" && rest[0] != '#' {
		return "", fmt.Errorf("%q behind the value", rest)
	}
	return value, nil
}
