package output

import "unicode/utf8"

// Bytes is a key or value of the database: any bytes, of any encoding.
type Bytes []byte

// Field is one named result. Value is a string, bool, int, int64, uint64, float64, Bytes, Row, []Row, []int or nil.
type Field struct {
	Name  string
	Value any
}

// Row is one result: fields in the order in which they are shown.
type Row []Field

// F is short for Field{name, value}.
func F(name string, value any) Field { return Field{Name: name, Value: value} }

// jsonName returns the name under which the field stands in JSON and YAML, and whether it is base64.
func (f Field) jsonName() (name string, encoded bool) {
	if b, ok := f.Value.(Bytes); ok && !utf8.Valid(b) {
		return f.Name + "_b64", true
	}
	return f.Name, false
}
