package record

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// jsonl reads one JSON object a line; empty lines are skipped.
type jsonl struct {
	lines      *lines
	key        *Template
	valueField string
	keyBuf     []byte
}

func (j *jsonl) Next() (Record, error) {
	for {
		line, err := j.lines.next()
		n := j.lines.n
		if errors.Is(err, errTooLong) {
			return Record{}, j.lines.tooLong(n, "line")
		}
		if err != nil {
			return Record{}, err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		return j.parse(line, n)
	}
}

func (j *jsonl) parse(line []byte, n int64) (Record, error) {
	if !utf8.Valid(line) {
		return Record{}, badf(n, "not valid UTF-8; JSON carries other bytes as key_b64 and value_b64")
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(line, &object); err != nil {
		return Record{}, badf(n, "not a JSON object: %v", err)
	}
	key, err := j.keyOf(object, n)
	if err != nil {
		return Record{}, err
	}
	value, err := j.valueOf(object, line, n)
	return Record{Line: n, Key: key, Value: value}, err
}

func (j *jsonl) keyOf(object map[string]json.RawMessage, n int64) ([]byte, error) {
	if j.key == nil {
		return bytesField(object, "key", n)
	}
	var bad error
	key, missing := j.key.key(j.keyBuf[:0], func(dst []byte, field string) ([]byte, bool) {
		raw, ok := object[field]
		if !ok {
			return dst, false
		}
		b, err := scalar(raw)
		if err != nil {
			bad = badf(n, "field %q: %v", field, err)
		}
		return append(dst, b...), true
	})
	j.keyBuf = key
	if missing != "" {
		return nil, badf(n, "no field %q to make the key of", missing)
	}
	return key, bad
}

func (j *jsonl) valueOf(object map[string]json.RawMessage, line []byte, n int64) ([]byte, error) {
	if j.valueField == "" {
		if j.key != nil {
			return line, nil
		}
		return bytesField(object, "value", n)
	}
	raw, ok := object[j.valueField]
	if !ok {
		return nil, badf(n, "no field %q to take the value from", j.valueField)
	}
	return rawOrString(raw, j.valueField, n)
}

// bytesField returns what stands under name as text or under name_b64 in base64; exactly one must.
func bytesField(object map[string]json.RawMessage, name string, n int64) ([]byte, error) {
	raw, plain := object[name]
	enc, b64 := object[name+"_b64"]
	switch {
	case plain && b64:
		return nil, badf(n, "both %q and %q", name, name+"_b64")
	case plain && name == "key":
		b, err := scalar(raw)
		if err != nil {
			return nil, badf(n, "field %q: %v", name, err)
		}
		return b, nil
	case plain:
		return rawOrString(raw, name, n)
	case b64:
		var s string
		if err := json.Unmarshal(enc, &s); err != nil {
			return nil, badf(n, "field %q: %v", name+"_b64", err)
		}
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return nil, badf(n, "field %q: %v", name+"_b64", err)
		}
		return b, nil
	}
	return nil, badf(n, "no field %q or %q", name, name+"_b64")
}

// rawOrString returns a JSON string's text, and anything else as the JSON that it is.
func rawOrString(raw json.RawMessage, name string, n int64) ([]byte, error) {
	if len(raw) == 0 || raw[0] != '"' {
		return raw, nil
	}
	b, err := unquote(raw)
	if err != nil {
		return nil, badf(n, "field %q: %v", name, err)
	}
	return b, nil
}

// scalar returns the text of a JSON string or number.
func scalar(raw json.RawMessage) ([]byte, error) {
	if len(raw) > 0 && raw[0] == '"' {
		return unquote(raw)
	}
	if len(raw) > 0 && (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9') {
		return raw, nil
	}
	return nil, errors.New("a key is made of strings and numbers")
}

// unquote decodes a JSON string. Half of a surrogate pair stands for no character: encoding/json makes
// U+FFFD of it, which would change the bytes without a word, so it is refused.
func unquote(raw json.RawMessage) ([]byte, error) {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, err
	}
	const replacement = "\ufffd"
	given := bytes.Count(raw, []byte(replacement)) + bytes.Count(bytes.ToLower(raw), []byte(`\ufffd`))
	if found := bytes.Count([]byte(s), []byte(replacement)); found > given {
		return nil, errors.New(`half of a surrogate pair (\ud800 to \udfff) is no text; use the _b64 form`)
	}
	return []byte(s), nil
}
