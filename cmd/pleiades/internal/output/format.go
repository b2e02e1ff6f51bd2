package output

import (
	"strings"

	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
)

// Format is one of the five forms.
type Format string

// The forms that -o takes; part of the interface.
const (
	Auto  Format = ""
	Table Format = "table"
	JSON  Format = "json"
	JSONL Format = "jsonl"
	YAML  Format = "yaml"
	Raw   Format = "raw"
)

// Formats lists what -o takes, in the order of the help text.
var Formats = []Format{Table, JSON, JSONL, YAML, Raw}

// ParseFormat reads the argument of -o; empty is Auto.
func ParseFormat(s string) (Format, error) {
	if s == "" {
		return Auto, nil
	}
	names := make([]string, len(Formats))
	for i, f := range Formats {
		if s == string(f) {
			return f, nil
		}
		names[i] = string(f)
	}
	return Auto, exit.New(exit.Usage, "use -o "+strings.Join(names, ", -o "), "%q is none of %s", s, strings.Join(names, ", "))
}
