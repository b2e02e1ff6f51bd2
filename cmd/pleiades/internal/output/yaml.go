package output

// appendYAML appends a row as the body of a YAML mapping, every line indented by depth levels. Scalars
// are written as in JSON, which YAML 1.2 reads with the same meaning; so no string is ever taken for a
// number, a date or a boolean.
func appendYAML(dst []byte, r Row, depth int) []byte {
	for _, f := range r {
		for range depth {
			dst = append(dst, "  "...)
		}
		name, encoded := f.jsonName()
		dst = append(dst, name...)
		dst = append(dst, ':')
		switch v := f.Value.(type) {
		case Row:
			if len(v) == 0 {
				dst = append(dst, " {}\n"...)
				continue
			}
			dst = append(dst, '\n')
			dst = appendYAML(dst, v, depth+1)
		case []Row:
			if len(v) == 0 {
				dst = append(dst, " []\n"...)
				continue
			}
			dst = append(dst, '\n')
			for _, item := range v {
				dst = appendYAMLItem(dst, item, depth+1)
			}
		default:
			dst = append(dst, ' ')
			if encoded {
				dst = append(dst, "!!binary "...)
			}
			dst = appendJSON(dst, v, -1)
			dst = append(dst, '\n')
		}
	}
	return dst
}

// appendYAMLItem appends a row as one item of a YAML list: its fields one level deeper, with a dash in
// place of the first one's own indentation.
func appendYAMLItem(dst []byte, r Row, depth int) []byte {
	start := len(dst)
	if len(r) == 0 {
		for range depth {
			dst = append(dst, "  "...)
		}
		return append(dst, "- {}\n"...)
	}
	dst = appendYAML(dst, r, depth+1)
	copy(dst[start+2*depth:], "- ")
	return dst
}
