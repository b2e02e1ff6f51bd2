package certs

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Info describes a certificate in a directory.
type Info struct {
	// Cert and Key are the paths of its files. The key of a CA that does not sign any more is gone: empty.
	Cert, Key string
	// Identity is whom it stands for; zero when the certificate cannot be read.
	Identity Identity
	// Hosts are the names and addresses a node is reached by.
	Hosts []string
	// Issuer is the name of the CA in ca.crt that signed it; empty when none did.
	Issuer string
	// HasKey says that its key is there and fits. A node or client needs it; ca.key may be kept elsewhere.
	HasKey bool
	// Problem says why it cannot be used now, as Open would; nil when it can.
	Problem error
}

// describe is the Info of a certificate that was just made.
func describe(dir, stem string, cert, issuer *x509.Certificate) Info {
	info := Info{Cert: filepath.Join(dir, stem+certExt), Key: filepath.Join(dir, stem+keyExt), HasKey: true}
	info.read(cert)
	if id, err := IdentityOf(issuer); err == nil {
		info.Issuer = id.Name
	}
	return info
}

// read fills in what the certificate itself says.
func (i *Info) read(cert *x509.Certificate) {
	i.Identity, i.Problem = IdentityOf(cert)
	i.Hosts = slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		i.Hosts = append(i.Hosts, ip.String())
	}
}

// List describes the certificates in dir, those that cannot be used as well: the CAs in the order of ca.crt, the node, the
// clients by name. now is the time to judge by. An error means that dir itself cannot be read; an empty list, that it
// has no certificates.
func List(dir string, now time.Time) ([]Info, error) {
	stems, err := stemsOf(dir)
	if err != nil {
		return nil, err
	}
	cas, caErr := readCAs(dir)
	var list []Info
	for _, stem := range stems {
		if stem == caStem {
			list = append(list, listCAs(dir, cas, caErr, now)...)
			continue
		}
		list = append(list, listLeaf(dir, stem, cas, caErr, now))
	}
	return list, nil
}

// stemsOf lists what has a certificate or a key in dir: the CA, the node, the clients by name.
func stemsOf(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fail(ErrNoCA, "check the path, or begin with: pleiades cert create-ca", "%s does not exist", dir)
	} else if err != nil {
		return nil, err
	}
	var stems []string
	for _, e := range entries {
		stem, isCert := strings.CutSuffix(e.Name(), certExt)
		if !isCert {
			stem, _ = strings.CutSuffix(e.Name(), keyExt)
		}
		if stem != e.Name() && (stem == caStem || Leaf(stem).Role() != 0) {
			stems = append(stems, stem)
		}
	}
	rank := func(stem string) string { // ca and node before the clients
		if strings.HasPrefix(stem, clientPrefix) {
			return "~" + stem
		}
		return stem
	}
	slices.SortFunc(stems, func(a, b string) int { return strings.Compare(rank(a), rank(b)) })
	return slices.Compact(stems), nil
}

func listCAs(dir string, cas []*x509.Certificate, caErr error, now time.Time) []Info {
	path := filepath.Join(dir, caStem)
	if caErr != nil {
		return []Info{{Cert: path + certExt, Problem: caErr}}
	}
	signer, _, keyErr := readPair(dir, caStem, ErrNoCA)
	var list []Info
	for _, ca := range cas {
		i := Info{Cert: path + certExt}
		i.read(ca)
		i.Issuer = i.Identity.Name
		if err := expiry(ca, i.Identity.String(), now); err != nil {
			i.Problem = err
		}
		switch {
		case keyErr == nil && ca.Equal(signer):
			i.Key, i.HasKey = path+keyExt, true
		case keyErr != nil && !errors.Is(keyErr, ErrNoCA) && i.Problem == nil:
			i.Key, i.Problem = path+keyExt, keyErr // a key that is there and cannot be used
		}
		list = append(list, i)
	}
	return list
}

func listLeaf(dir, stem string, cas []*x509.Certificate, caErr error, now time.Time) Info {
	path := filepath.Join(dir, stem)
	i := Info{Cert: path + certExt, Key: path + keyExt}
	certs, err := readLeaf(dir, stem)
	if err != nil {
		i.Problem = err
		return i
	}
	cert := certs[0]
	i.read(cert)
	i.Issuer = issuerOf(cert, cas)
	_, _, keyErr := readPair(dir, stem, ErrNoCertificate)
	i.HasKey = keyErr == nil
	if i.Problem == nil {
		i.Problem = expiry(cert, i.Identity.String(), now)
	}
	if i.Problem == nil {
		i.Problem = keyErr
	}
	if i.Problem == nil && caErr != nil {
		i.Problem = caErr
	}
	if i.Problem == nil && i.Issuer == "" {
		i.Problem = fail(ErrUnknownCA, fixTrust, "%s", i.Cert)
	}
	return i
}

// issuerOf returns the name of the CA that signed cert; empty when none of cas did.
func issuerOf(cert *x509.Certificate, cas []*x509.Certificate) string {
	for _, ca := range cas {
		if cert.CheckSignatureFrom(ca) != nil {
			continue
		}
		if id, err := IdentityOf(ca); err == nil {
			return id.Name
		}
	}
	return ""
}
