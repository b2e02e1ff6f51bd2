package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

const (
	// maxFile bounds what is read of one file, in bytes.
	maxFile = 256 << 10
	// maxCAs bounds how many CAs are trusted at once.
	maxCAs = 16

	caStem   = "ca"
	certExt  = ".crt"
	keyExt   = ".key"
	nextExt  = ".next" // behind keyExt, while a rotation is under way
	tempMark = ".tmp-"

	pemBegin       = "-----BEGIN "
	pemCertificate = "CERTIFICATE"
	pemKey         = "PRIVATE KEY" // PKCS #8
	pemECKey       = "EC PRIVATE KEY"
)

// readFile reads a file of at most maxFile bytes. For a private file it refuses one that group or others can read; the
// mode is that of the file that was opened.
func readFile(path string, private bool) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fail(ErrBadCertificate, "put a PEM file there", "%s is no regular file", path)
	}
	if mode := info.Mode().Perm(); private && mode&0o077 != 0 {
		return nil, fail(ErrKeyMode, "chmod 600 "+path, "%s has mode %04o", path, mode)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fail(ErrBadCertificate, "put a PEM file there", "%s has more than %d bytes", path, maxFile)
	}
	return b, err
}

// missing turns "no such file" into the given sentinel, with the way out.
func missing(err, kind error, fix, path string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fail(kind, fix, "%s does not exist", path)
	}
	return err
}

// parseCerts reads the certificates of a PEM file. Anything else in the file is an error, also a block that is cut.
func parseCerts(b []byte, path string, most int) ([]*x509.Certificate, error) {
	bad := func(cause error, why string, args ...any) ([]*x509.Certificate, error) {
		return nil, failBy(ErrBadCertificate, cause, "replace "+path+" by a whole copy, or make it anew: pleiades cert",
			"%s: %s", path, fmt.Sprintf(why, args...))
	}
	var certs []*x509.Certificate
	for b = bytes.TrimSpace(b); len(b) > 0; b = bytes.TrimSpace(b) {
		block, rest := pem.Decode(b)
		switch {
		case block == nil, !bytes.HasPrefix(b, []byte(pemBegin)): // Decode would pass over a block with a damaged beginning
			return bad(nil, "no whole PEM block after %d certificates", len(certs))
		case block.Type != pemCertificate:
			return bad(nil, "it holds a %q", block.Type)
		case len(certs) == most:
			return bad(nil, "more than %d certificates", most)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return bad(err, "certificate %d", len(certs)+1)
		}
		certs, b = append(certs, cert), rest
	}
	if len(certs) == 0 {
		return bad(nil, "it is empty")
	}
	return certs, nil
}

// parseKey reads the private key of a PEM file.
func parseKey(b []byte, path string) (*ecdsa.PrivateKey, error) {
	bad := func(cause error, why string) (*ecdsa.PrivateKey, error) {
		return nil, failBy(ErrBadCertificate, cause, "replace "+path+" by a whole copy, or make it anew: pleiades cert", "%s: %s", path, why)
	}
	block, rest := pem.Decode(bytes.TrimSpace(b))
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return bad(nil, "it is not one whole PEM block")
	}
	var key any
	var err error
	switch block.Type {
	case pemKey:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case pemECKey:
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return bad(nil, fmt.Sprintf("it holds a %q", block.Type))
	}
	if err != nil {
		return bad(err, "no private key")
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return bad(nil, fmt.Sprintf("a %T, not an ECDSA key", key))
	}
	return ec, nil
}

// readCAs reads ca.crt: every CA that is trusted, all of one constellation.
func readCAs(dir string) ([]*x509.Certificate, error) {
	path := filepath.Join(dir, caStem+certExt)
	b, err := readFile(path, false)
	if err != nil {
		return nil, missing(err, ErrNoCA, "make one with pleiades cert create-ca, or copy the constellation's ca.crt there", path)
	}
	cas, err := parseCerts(b, path, maxCAs)
	if err != nil {
		return nil, err
	}
	var first Identity
	for i, ca := range cas {
		id, err := IdentityOf(ca)
		if err != nil {
			return nil, failBy(ErrBadCertificate, err, "keep only CAs made by pleiades in it", "%s: certificate %d", path, i+1)
		}
		if i == 0 {
			first = id
		}
		if err := ca.CheckSignatureFrom(ca); err != nil { // nobody else looks at it, and it tells damage
			return nil, failBy(ErrBadCertificate, err, "replace it by a whole copy", "%s: the own signature of %s", path, id)
		}
		if id.Role != RoleCA || id.Constellation != first.Constellation {
			return nil, fail(ErrBadCertificate, "keep the CAs of one constellation in it, and nothing else", "%s: certificate %d is %s", path, i+1, id)
		}
	}
	return cas, nil
}

// readAttempts is how often files that do not fit each other are read, because a writer may be between them.
const readAttempts = 3

// readPair reads the certificate and the key of a stem. The key may be in the file of an unfinished rotation.
func readPair(dir, stem string, noKey error) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	for attempt := 1; ; attempt++ {
		certs, err := readLeaf(dir, stem)
		if err != nil {
			return nil, nil, err
		}
		key, err := keyOf(dir, stem, certs, noKey)
		if err == nil {
			for _, c := range certs {
				if matches(c, key) {
					return c, key, nil
				}
			}
		}
		if attempt == readAttempts || !errors.Is(err, ErrKeyMismatch) {
			return nil, nil, err
		}
	}
}

// readLeaf reads the certificates of a stem: one for a leaf, the trusted ones for the CA.
func readLeaf(dir, stem string) ([]*x509.Certificate, error) {
	if stem == caStem {
		return readCAs(dir)
	}
	path := filepath.Join(dir, stem+certExt)
	b, err := readFile(path, false)
	if err != nil {
		return nil, missing(err, ErrNoCertificate, "make it where ca.key is with pleiades cert create-"+kindOf(stem)+", and copy it there", path)
	}
	return parseCerts(b, path, 1)
}

func kindOf(stem string) string {
	if stem == string(NodeLeaf) {
		return "node"
	}
	return "client"
}

// keyOf reads the key that belongs to one of certs.
func keyOf(dir, stem string, certs []*x509.Certificate, noKey error) (*ecdsa.PrivateKey, error) {
	path := filepath.Join(dir, stem+keyExt)
	var first error
	for _, p := range []string{path, path + nextExt} {
		key, err := readKey(p, noKey)
		if err == nil {
			for _, c := range certs {
				if matches(c, key) {
					return key, nil
				}
			}
			err = fail(ErrKeyMismatch, "copy both files of a pair, from the same place", "%s and %s", filepath.Join(dir, stem+certExt), p)
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

func readKey(path string, noKey error) (*ecdsa.PrivateKey, error) {
	b, err := readFile(path, true)
	if err != nil {
		fix := "copy it there together with its certificate"
		if errors.Is(noKey, ErrNoCA) {
			fix = "run this where ca.key is kept, or make a CA: pleiades cert create-ca"
		}
		return nil, missing(err, noKey, fix, path)
	}
	return parseKey(b, path)
}

func matches(cert *x509.Certificate, key *ecdsa.PrivateKey) bool {
	pub, ok := cert.PublicKey.(*ecdsa.PublicKey)
	return ok && key.PublicKey.Equal(pub)
}

// lockDir makes dir, private to its owner if it is new, and locks it against other writers until the returned function
// is called.
func lockDir(dir string) (unlock func(), err error) {
	if dir == "" {
		return nil, fail(ErrOptions, "say where the certificates are: --certs-dir DIR", "no directory")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", dir, err), f.Close())
	}
	return func() { _ = f.Close() }, nil // closing releases the lock; nothing was written through f
}

// writeFile replaces a file as a whole and syncs it and its directory.
func writeFile(path string, content []byte, mode fs.FileMode) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+tempMark)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync())
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// writePair replaces the certificates and the key of a stem, so that a reader finds the old pair or the new one.
func writePair(dir, stem string, certs []*x509.Certificate, key *ecdsa.PrivateKey) error {
	if err := finishRotation(dir, stem); err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, stem)
	next := path + keyExt + nextExt
	if err := writeFile(next, pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der}), 0o600); err != nil {
		return err
	}
	if err := writeFile(path+certExt, encodeCerts(certs), 0o644); err != nil { // from here on the new pair holds
		return err
	}
	if err := os.Rename(next, path+keyExt); err != nil {
		return err
	}
	return syncDir(dir)
}

func encodeCerts(certs []*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: c.Raw})...)
	}
	return out
}

// finishRotation completes what a crash cut: a key that belongs to the certificate in place and has not got its name.
func finishRotation(dir, stem string) error {
	path := filepath.Join(dir, stem+keyExt)
	key, err := readKey(path+nextExt, ErrNoCertificate)
	if err != nil {
		return nil // none, or one that no certificate belongs to: it is going to be replaced
	}
	certs, err := readLeaf(dir, stem)
	if err != nil {
		return nil
	}
	for _, c := range certs {
		if matches(c, key) {
			if old, err := readKey(path, ErrNoCertificate); err == nil && matches(c, old) {
				return nil
			}
			return os.Rename(path+nextExt, path)
		}
	}
	return nil
}

// exists reports whether any file of a stem is there.
func exists(dir, stem string) (string, bool) {
	for _, ext := range []string{certExt, keyExt} {
		path := filepath.Join(dir, stem+ext)
		if _, err := os.Lstat(path); err == nil {
			return path, true
		}
	}
	return "", false
}
