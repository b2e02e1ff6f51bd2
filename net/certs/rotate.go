package certs

import (
	"crypto/x509"
	"path/filepath"
)

// Rotate replaces the certificate and the key of leaf in dir by new ones for the same holder, signed by the CA of dir that
// has its key there. Name and hosts stay as they are, except that o.Hosts replaces the hosts of a node. Running processes
// take the new pair up with Reload; the old one stays valid until it runs out. The old certificate may have expired.
//
// Errors: ErrNoCA, ErrNoCertificate, ErrExpired (of the CA), ErrOptions, ErrName, ErrBadCertificate.
func Rotate(dir string, leaf Leaf, o *LeafOptions) (Info, error) {
	if err := leaf.check(); err != nil {
		return Info{}, err
	}
	o = o.copied()
	unlock, err := lockDir(dir)
	if err != nil {
		return Info{}, err
	}
	defer unlock()
	old, err := readLeaf(dir, string(leaf))
	if err != nil {
		return Info{}, err
	}
	id, err := IdentityOf(old[0])
	if err != nil {
		return Info{}, err
	}
	if o.Name != "" && o.Name != id.Name {
		return Info{}, fail(ErrOptions, "leave the name out; a new name is a new certificate: pleiades cert create-"+kindOf(string(leaf)),
			"%s belongs to %s", filepath.Join(dir, string(leaf)+certExt), id)
	}
	o.Name = id.Name
	if len(o.Hosts) == 0 {
		var was Info
		was.read(old[0])
		o.Hosts = was.Hosts
	}
	return issue(dir, leaf, o)
}

// RotateCA makes a new CA that signs from now on, and keeps the old ones trusted: ca.crt holds the new CA and the old ones,
// ca.key the new key; the old key is gone. Copy ca.crt to every node and client before the first certificate is signed by
// the new CA, rotate all leaves, and end with RetireCAs. CAs that have run out are left out.
//
// Errors: ErrNoCA, ErrOptions, and ErrBadCertificate when 16 CAs are trusted already.
func RotateCA(dir string, o *CAOptions) (Info, error) {
	if o == nil {
		o = &CAOptions{}
	}
	unlock, err := lockDir(dir)
	if err != nil {
		return Info{}, err
	}
	defer unlock()
	old, _, err := signing(dir)
	if err != nil {
		return Info{}, err
	}
	id, err := IdentityOf(old[0])
	if err != nil {
		return Info{}, err
	}
	if o.Constellation != "" && o.Constellation != id.Constellation {
		return Info{}, fail(ErrOptions, "leave the constellation out; another one needs a directory of its own", "%s is the CA of %s", dir, id.Constellation)
	}
	cert, key, err := newCA(id.Constellation, o)
	if err != nil {
		return Info{}, err
	}
	cas := []*x509.Certificate{cert}
	for _, ca := range old {
		if expiry(ca, "", clock(o.Now)) == nil {
			cas = append(cas, ca)
		}
	}
	if len(cas) > maxCAs {
		return Info{}, fail(ErrBadCertificate, "remove those that are not needed: pleiades cert rotate --retire-ca", "%s trusts %d CAs already", dir, len(old))
	}
	if err := writePair(dir, caStem, cas, key); err != nil {
		return Info{}, err
	}
	return describe(dir, caStem, cert, cert), nil
}

// signing returns the trusted CAs of dir and the one that its key signs with, after completing what a crash cut. The
// directory is locked.
func signing(dir string) (cas []*x509.Certificate, signer *x509.Certificate, err error) {
	if err := finishRotation(dir, caStem); err != nil {
		return nil, nil, err
	}
	if cas, err = readCAs(dir); err != nil {
		return nil, nil, err
	}
	signer, _, err = readPair(dir, caStem, ErrNoCA)
	return cas, signer, err
}

// RetireCAs ends the overlap that RotateCA began: ca.crt holds the signing CA only. It returns the CAs that are no longer
// trusted. Copied to a node, the file makes its Source drop the session tickets and lets it close connections of peers whose
// certificates those CAs signed. ErrInUse while a certificate in dir was signed by one of them, unless force is set; of
// certificates elsewhere nothing is known here.
func RetireCAs(dir string, force bool) ([]Info, error) {
	unlock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	cas, signer, err := signing(dir)
	if err != nil {
		return nil, err
	}
	var retired []Info
	for _, ca := range cas {
		if !ca.Equal(signer) {
			i := Info{Cert: filepath.Join(dir, caStem+certExt)}
			i.read(ca)
			i.Issuer = i.Identity.Name
			retired = append(retired, i)
		}
	}
	if len(retired) == 0 {
		return nil, nil
	}
	stems, err := stemsOf(dir)
	if err != nil {
		return nil, err
	}
	for _, stem := range stems {
		if stem == caStem || force {
			continue
		}
		certs, err := readLeaf(dir, stem)
		if err == nil && certs[0].CheckSignatureFrom(signer) != nil {
			return nil, fail(ErrInUse, "rotate it first: pleiades cert rotate; or cut it off with --force", "%s was signed by another CA than %s",
				filepath.Join(dir, stem+certExt), claim(signer))
		}
	}
	return retired, writeFile(filepath.Join(dir, caStem+certExt), encodeCerts([]*x509.Certificate{signer}), 0o644)
}
