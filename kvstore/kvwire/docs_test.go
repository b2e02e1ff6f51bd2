package kvwire_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/kvstore/kvwire"
)

// TestDocumentedErrors holds the table of docs/kvstore.md against the numbers and codes that a server sends.
func TestDocumentedErrors(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "kvstore.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{} // number to code
	for _, row := range regexp.MustCompile(`(?m)^\| ([0-9, ]+) \| ([0-9]+) \|`).FindAllStringSubmatch(string(page), -1) {
		for number := range strings.SplitSeq(row[1], ",") {
			documented[strings.TrimSpace(number)] = row[2]
		}
	}
	for _, number := range kverr.Numbers() {
		sent := kvwire.ToWire(kverr.Sentinel(number))
		if got, want := documented[fmt.Sprint(number)], fmt.Sprint(uint32(sent.Code)); got != want || sent.Detail != number {
			t.Errorf("error %d (%v) is sent with code %s and detail %d; docs/kvstore.md says code %q", number, sent.Text, want, sent.Detail, got)
		}
		delete(documented, fmt.Sprint(number))
	}
	if len(documented) != 0 {
		t.Errorf("docs/kvstore.md has numbers that nobody sends: %v", documented)
	}
}
