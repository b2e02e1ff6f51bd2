package node

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/shieldmaidens/pleiades/net/certs"
)

// selfMade is the file by which a directory of certificates says that a first start made them. Such a CA is for the
// loopback: its key lies beside it, and nobody decided whom it speaks for.
const selfMade = "self-made"

const selfMadeText = `The certificates here were made by the first "pleiades node start". They are for this machine: a node
does not listen beyond the loopback with them. For more, make your own: pleiades cert --help.
`

// ensureCertificates makes the certificates of a first start when there are none, and refuses to use them beyond the
// loopback. It reports whether it made them. Errors: ErrNeedsCertificates, those of package certs.
func ensureCertificates(dir string, local bool) (made bool, err error) {
	marker := filepath.Join(dir, selfMade)
	_, err = os.Stat(marker)
	self := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("node: certificates: %w", err)
	}
	if !self {
		have, err := holds(dir, "ca.crt", "node.crt")
		if err != nil || have {
			return false, err // what is missing of them, certs.Open says
		}
	}
	if !local {
		return false, fmt.Errorf("%w: to listen beyond the loopback, %s has to hold certificates that you made (found: %s)",
			ErrNeedsCertificates, dir, map[bool]string{true: "those of a first start", false: "none"}[self])
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, fmt.Errorf("node: certificates: %w", err)
	}
	// The marker comes first: after a crash in between the next start goes on here.
	if !self {
		if err := os.WriteFile(marker, []byte(selfMadeText), 0o600); err != nil {
			return false, fmt.Errorf("node: certificates: %w", err)
		}
	}
	var suffix [4]byte
	if _, err := rand.Read(suffix[:]); err != nil {
		return false, err
	}
	for _, make := range []func() error{
		func() error {
			_, err := certs.CreateCA(dir, &certs.CAOptions{Constellation: "local-" + hex.EncodeToString(suffix[:])})
			return err
		},
		func() error { _, err := certs.CreateNode(dir, nil); return err },
		func() error { _, err := certs.CreateClient(dir, nil); return err },
	} {
		switch err := make(); {
		case errors.Is(err, certs.ErrExists):
		case err != nil:
			return made, err
		default:
			made = true
		}
	}
	return made, nil
}

// holds reports whether dir has any of the files.
func holds(dir string, names ...string) (bool, error) {
	for _, name := range names {
		_, err := os.Stat(filepath.Join(dir, name))
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("node: certificates: %w", err)
		}
	}
	return false, nil
}
