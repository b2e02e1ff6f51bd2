package doctor

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/shieldmaidens/pleiades/net/certs"
)

// renewBefore is how long before its end a certificate is to be renewed.
const renewBefore = 30 * 24 * time.Hour

// selfMade is the file by which a first node marks certificates that it made for itself.
const selfMade = "self-made"

// certificates checks the directory of the certificates.
func (c *checker) certificates() {
	if c.CertsDir == "" {
		return
	}
	at, exists := c.existing(c.CertsDir)
	c.directory(NameCertsDir, c.CertsDir, at, exists)
	infos, err := certs.List(c.CertsDir, c.Now())
	if err != nil && !errors.Is(err, certs.ErrNoCA) {
		c.bad(Fail, NameCertificates, "run as the user who owns it", "%v", err)
		return
	}
	if len(infos) == 0 {
		c.noCertificates()
		return
	}
	c.validity(infos)
	c.hosts(infos)
	c.caKey(infos)
}

func (c *checker) noCertificates() {
	const make = "pleiades cert create-ca, then pleiades cert create-node NAME --san HOST"
	if out := slices.DeleteFunc(slices.Clone(c.Advertise), loopback); len(out) > 0 {
		c.bad(Fail, NameCertificates, make, "%s has none, and a node that others reach (%s) needs them", c.CertsDir, list(out))
		return
	}
	c.ok(NameCertificates, "%s has none yet: a node for this machine only makes its own", c.CertsDir)
}

// loopback reports whether only this machine reaches a host.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// validity checks that every certificate can be used, and for a while.
func (c *checker) validity(infos []certs.Info) {
	good, bad := 0, 0
	until := time.Time{}
	for _, i := range infos {
		name := filepath.Base(i.Cert)
		var e *certs.Error
		switch left := i.Identity.NotAfter.Sub(c.Now()); {
		case errors.As(i.Problem, &e):
			c.bad(Fail, NameCertificates, e.Fix, "%s", e.Text())
			bad++
		case i.Problem != nil:
			c.bad(Fail, NameCertificates, "run as the user who owns the files", "%v", i.Problem)
			bad++
		case left < renewBefore:
			c.bad(Warn, NameCertificates, renewal(i.Identity), "%s (%s) expires in %s, on %s", name, i.Identity, span(left), i.Identity.NotAfter.UTC().Format(time.RFC3339))
			bad++
		default:
			good++
			if until.IsZero() || i.Identity.NotAfter.Before(until) {
				until = i.Identity.NotAfter
			}
		}
	}
	if bad == 0 {
		c.ok(NameCertificates, "%d certificates are good, the first expires in %s", good, span(until.Sub(c.Now())))
	}
}

func renewal(id certs.Identity) string {
	switch id.Role {
	case certs.RoleCA:
		return "begin a new CA beside it: pleiades cert rotate --ca; or drop it if a newer one has replaced it: pleiades cert rotate --retire-ca"
	case certs.RoleNode:
		return "pleiades cert rotate --node, where ca.key is, and copy both files here"
	}
	return "pleiades cert rotate --client " + id.Name + ", where ca.key is, and copy both files here"
}

// span writes a duration in days, or smaller units below two days.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 2*day {
		return fmt.Sprintf("%d days", d/day)
	}
	return d.Round(time.Minute).String()
}

// hosts checks that the node's certificate names every host by which others reach it.
func (c *checker) hosts(infos []certs.Info) {
	i := slices.IndexFunc(infos, func(i certs.Info) bool { return i.Identity.Role == certs.RoleNode })
	if i < 0 || len(c.Advertise) == 0 {
		return
	}
	node := infos[i]
	var missing []string
	for _, host := range c.Advertise {
		if !names(node.Hosts, host) {
			missing = append(missing, host)
		}
	}
	if len(missing) > 0 {
		c.bad(Fail, NameAdvertise, "pleiades cert rotate --node --san "+strings.Join(slices.Concat(node.Hosts, missing), ","),
			"node.crt is for %s, not for %s: clients refuse it", list(node.Hosts), list(missing))
		return
	}
	c.ok(NameAdvertise, "node.crt is for %s", list(c.Advertise))
}

// names reports whether a certificate with these hosts is one for host.
func names(hosts []string, host string) bool {
	host = strings.ToLower(strings.Trim(host, "[]"))
	ip, ipErr := netip.ParseAddr(host)
	for _, h := range hosts {
		if other, err := netip.ParseAddr(h); err == nil || ipErr == nil {
			if err == nil && ipErr == nil && other.Unmap() == ip.Unmap() {
				return true
			}
			continue
		}
		if h == host {
			return true
		}
		if rest, ok := strings.CutPrefix(h, "*."); ok {
			if _, domain, ok := strings.Cut(host, "."); ok && domain == rest {
				return true
			}
		}
	}
	return false
}

// caKey checks that the key of the CA is not where a node runs, unless the node made it for itself.
func (c *checker) caKey(infos []certs.Info) {
	i := slices.IndexFunc(infos, func(i certs.Info) bool { return i.Identity.Role == certs.RoleCA && i.HasKey })
	if i < 0 {
		c.ok(NameCAKey, "the key of the CA is not here")
		return
	}
	if _, err := c.System.Stat(filepath.Join(c.CertsDir, selfMade)); err == nil {
		c.ok(NameCAKey, "the key of the CA is here, which the node made for itself")
		return
	}
	c.bad(Warn, NameCAKey, "keep it on a machine of its own: cert create-… and cert rotate need it, nodes do not",
		"%s is here: who gets hold of it can be any node", infos[i].Key)
}
