package config

import "strings"

// Near returns which of names was probably meant by name; empty when none is near.
func Near(name string, names []string) string {
	near, least := "", 3
	for _, n := range names {
		if d := distance(n, name); d < least && d < len(name)-1 {
			near, least = n, d
		}
	}
	return near
}

// suggestion is the way out of an unknown name: the near one, or else the first names, those that were asked for.
func suggestion(name string, names []string, first int) string {
	if near := Near(name, names); near != "" {
		return "did you mean: " + near
	}
	return "known settings: " + strings.Join(names[:first], ", ")
}

// distance counts the letters that have to be inserted, removed or replaced to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
