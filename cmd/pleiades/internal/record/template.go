package record

import (
	"strings"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
)

// Template makes a key out of a record's fields: text with {Field} in it; {{ and }} stand for the braces.
type Template struct {
	parts []part
}

// part is literal text or, when field is set, the field's value.
type part struct {
	text  string
	field string
}

// FieldTemplate is the template whose key is one field's value.
func FieldTemplate(field string) *Template { return &Template{parts: []part{{field: field}}} }

// ParseTemplate reads a template. One without any field is refused: all records would have one key.
func ParseTemplate(s string) (*Template, error) {
	t := &Template{}
	var text strings.Builder
	fields := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c == '{' || c == '}') && i+1 < len(s) && s[i+1] == c {
			text.WriteByte(c)
			i++
			continue
		}
		switch c {
		case '}':
			return nil, badTemplate(s, "a } without its {")
		case '{':
			end := strings.IndexAny(s[i+1:], "{}")
			if end < 0 || s[i+1+end] == '{' {
				return nil, badTemplate(s, "a { without its }")
			}
			if end == 0 {
				return nil, badTemplate(s, "no field between { and }")
			}
			if text.Len() > 0 {
				t.parts = append(t.parts, part{text: text.String()})
				text.Reset()
			}
			t.parts = append(t.parts, part{field: s[i+1 : i+1+end]})
			fields++
			i += end + 1
		default:
			text.WriteByte(c)
		}
	}
	if text.Len() > 0 {
		t.parts = append(t.parts, part{text: text.String()})
	}
	if fields == 0 {
		return nil, badTemplate(s, "no {Field} in it, so every record would have the same key")
	}
	return t, nil
}

func badTemplate(s, why string) error {
	return exit.New(exit.Usage, "write it like --key '{Package}/{Architecture}'; {{ is a literal {", "%w: key template %q: %s", base.ErrInvalid, s, why)
}

// key appends the key to dst. get appends one field's value and reports whether the record has it; the
// first field that is missing is returned.
func (t *Template) key(dst []byte, get func(dst []byte, field string) ([]byte, bool)) (key []byte, missing string) {
	for _, p := range t.parts {
		if p.field == "" {
			dst = append(dst, p.text...)
			continue
		}
		var ok bool
		if dst, ok = get(dst, p.field); !ok {
			return dst, p.field
		}
	}
	return dst, ""
}

// String returns the template in the form that ParseTemplate reads.
func (t *Template) String() string {
	var sb strings.Builder
	for _, p := range t.parts {
		if p.field != "" {
			sb.WriteString("{" + p.field + "}")
			continue
		}
		sb.WriteString(strings.NewReplacer("{", "{{", "}", "}}").Replace(p.text))
	}
	return sb.String()
}
