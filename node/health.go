package node

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	systemv1 "github.com/shieldmaidens/pleiades/api/system/v1"
)

// expiresSoon is how long before its end a certificate is reported.
const expiresSoon = 14 * 24 * time.Hour

// check is one thing that was looked at.
type check struct {
	name string
	// fault is what is wrong, empty for nothing; found is what was found.
	fault, found string
	// readiness: a fault keeps the node from taking requests, but does not mean that the process works wrongly.
	readiness bool
}

// checks looks at everything that health depends on.
func (n *Node) checks(ctx context.Context) []check {
	var list []check
	add := func(name string, readiness, ok bool, found, fault string) {
		c := check{name: name, readiness: readiness, found: found}
		if !ok {
			c.fault = fault
		}
		list = append(list, c)
	}
	state := n.State()
	add("state", true, state == StateReady, "ready", fmt.Sprintf("the node is %s", state))

	h := n.eng.Health()
	add("engine", false, h.Err == nil, "writes", fmt.Sprintf("the engine has stopped writing: %v; restart the node, and look at the disk", h.Err))
	add("disk sync", true, h.OldestSync < n.settings.DiskStallWarn, fmt.Sprintf("oldest waits %v", h.OldestSync.Round(time.Millisecond)),
		fmt.Sprintf("a synced write has been waiting for the disk for %v", h.OldestSync.Round(time.Millisecond)))
	add("disk space", true, h.DiskFull == nil, "writes are taken", fmt.Sprint(h.DiskFull))

	list = append(list, n.storeChecks(ctx)...)

	_, err := n.clock.Present()
	add("clock", false, err == nil, "runs", fmt.Sprintf("%v; set the machine's clock right and restart the node", err))

	left := time.Until(n.certs.Identity().NotAfter).Round(time.Minute)
	add("certificate", false, left > 0, fmt.Sprintf("valid for %v", left), "the node's certificate has expired; renew it: pleiades cert rotate")
	if soon := &list[len(list)-1]; left > 0 && left < expiresSoon {
		soon.found += "; renew it: pleiades cert rotate"
	}
	return list
}

// health puts the checks into the system service's answer.
func (n *Node) health(ctx context.Context) *systemv1.HealthResponse {
	answer := &systemv1.HealthResponse{Healthy: true, Ready: true}
	for _, c := range n.checks(ctx) {
		text := c.found
		if c.fault != "" {
			text = c.fault
			answer.Ready = false
			answer.Healthy = answer.Healthy && c.readiness
		}
		answer.Checks = append(answer.Checks, &systemv1.Check{Name: c.name, Healthy: c.fault == "", Text: text})
	}
	return answer
}

// diskFree returns what may still be written where the node's directory is, in bytes.
func diskFree(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("node: statfs %s: %w", dir, err)
	}
	return st.Bavail * uint64(st.Bsize), nil
}
