package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// age is a flag that holds a time span: what time.ParseDuration reads, and days as in 30d.
type age time.Duration

// parseAge reads a time span.
func parseAge(s string) (time.Duration, error) {
	days, ok := strings.CutSuffix(s, "d")
	if !ok {
		d, err := time.ParseDuration(s)
		if err != nil {
			err = fmt.Errorf("%q is no time span such as 90s, 24h or 30d", s)
		}
		return d, err
	}
	n, err := strconv.ParseInt(days, 10, 32)
	const longest = int64(1<<63-1) / int64(24*time.Hour)
	if err != nil || n > longest || n < -longest {
		return 0, fmt.Errorf("%q is no time span such as 90s, 24h or 30d", s)
	}
	return time.Duration(n) * 24 * time.Hour, nil
}

// Set implements pflag.Value.
func (a *age) Set(s string) error {
	d, err := parseAge(s)
	*a = age(d)
	return err
}

// String implements pflag.Value; empty for zero, so that help shows no default.
func (a *age) String() string {
	if *a == 0 {
		return ""
	}
	return time.Duration(*a).String()
}

// Type implements pflag.Value.
func (a *age) Type() string { return "duration" }
