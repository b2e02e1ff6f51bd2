package config

import (
	"strings"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
)

// Setting is one thing that can be set.
type Setting struct {
	// Name is the flag's and the file's name; the variable is PLEIADES_ and the name in capitals.
	Name string
	// Default is what holds when nobody says anything.
	Default string
	// Help is one line.
	Help string
	// Check refuses what the setting cannot be; nil takes everything.
	Check func(value string) error
}

// Env is the name of the setting's environment variable.
func (s Setting) Env() string {
	return "PLEIADES_" + strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_"))
}

// Value is what a setting is.
type Value struct {
	Setting Setting
	Text    string
	// Origin says where Text comes from: "flag --dir", "PLEIADES_DIR", "FILE:3" or "default".
	Origin string
	// Rank orders origins: of two settings the one with the lower rank was said by the one who wins. Two settings of one
	// file have the same rank, and so have all that nobody set.
	Rank int
}

// Ranks of origins; files follow rankFile in their order.
const (
	RankFlag    = 1
	RankEnv     = 2
	rankFile    = 3
	RankDefault = 1 << 20
)

// Config holds all settings in the order of their declaration.
type Config struct {
	values []Value
}

// All returns every setting with its value. The slice is the Config's.
func (c *Config) All() []Value { return c.values }

// Get returns a declared setting; one that was not declared is the zero Value.
func (c *Config) Get(name string) Value {
	for _, v := range c.values {
		if v.Setting.Name == name {
			return v
		}
	}
	return Value{}
}

// Sources are the places that Resolve asks.
type Sources struct {
	// Flag returns the value of a flag that was given.
	Flag func(name string) (string, bool)
	// Env returns an environment variable.
	Env func(name string) (string, bool)
	// Files are read in this order; the first that names a setting wins.
	Files []File
	// Others are names that files may hold although they are not asked for here: the settings of another command.
	Others []string
}

// Resolve asks the sources for every setting. All faults come in one usage error.
func Resolve(settings []Setting, src Sources) (*Config, error) {
	var faults []string
	var files []parsed
	for _, f := range src.Files {
		p, err := f.read(settings, src.Others)
		if err != nil {
			return nil, err
		}
		files = append(files, p)
	}
	c := &Config{}
	for _, s := range settings {
		v := resolve(s, src, files)
		if s.Check != nil {
			if err := s.Check(v.Text); err != nil {
				faults = append(faults, s.Name+" from "+v.Origin+": "+err.Error())
			}
		}
		c.values = append(c.values, v)
	}
	if len(faults) > 0 {
		return nil, exit.New(exit.Usage, "correct it there; pleiades --help lists the settings and what they take",
			"%w: %s", base.ErrInvalid, strings.Join(faults, "; "))
	}
	return c, nil
}

func resolve(s Setting, src Sources, files []parsed) Value {
	if src.Flag != nil {
		if text, ok := src.Flag(s.Name); ok {
			return Value{s, text, "flag --" + s.Name, RankFlag}
		}
	}
	if src.Env != nil {
		if text, ok := src.Env(s.Env()); ok && text != "" {
			return Value{s, text, s.Env(), RankEnv}
		}
	}
	for i, f := range files {
		if e, ok := f[s.Name]; ok {
			return Value{s, e.text, e.origin, rankFile + i}
		}
	}
	return Value{s, s.Default, "default", RankDefault}
}
