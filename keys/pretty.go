package keys

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/shieldmaidens/pleiades/base"
)

// Pretty returns a stored key of a shard's family, or of node-local storage, for people: in the
// words of the layout document, printable and on one line, whatever stored holds. What cannot be
// parsed is shown as hex. It is for logs and reports, not a format.
//
//	/data/1/"maia".d   /data/1/"maia":3   /data/1/"maia"@l   /meta/bucket/1   /raft/6c00…
//	/local/shard/1001   /local/clock
func Pretty(stored []byte) string {
	if r, err := Parse(nil, stored); err == nil {
		switch r.Kind {
		case KindVersion:
			return fmt.Sprintf("/data/%d/%s:%d", r.Bucket, base.Quote(r.Key), r.Slot)
		case KindReserved:
			return fmt.Sprintf("/data/%d/%s.%#02x", r.Bucket, base.Quote(r.Key), r.Tag)
		default:
			return fmt.Sprintf("/data/%d/%s%c%c", r.Bucket, base.Quote(r.Key), r.Delimiter, r.Tag)
		}
	}
	if len(stored) == 0 {
		return "(empty)"
	}
	switch Namespace(stored[0]) {
	case NamespaceMeta:
		if len(stored) == 2+bucketBytes && stored[1] == metaBucket {
			return fmt.Sprintf("/meta/bucket/%d", binary.BigEndian.Uint64(stored[2:]))
		}
		return "/meta/" + prettyHex(stored[1:])
	case NamespaceRaft:
		return "/raft/" + prettyHex(stored[1:])
	}
	if name, ok := localNames[stored[0]]; ok && (stored[0] != LocalClockBound || len(stored) == 1) {
		return prettyLocal(name, stored)
	}
	return "(malformed) " + prettyHex(stored)
}

// localNames are the namespaces of node-local storage, which are none of a shard's family.
var localNames = map[byte]string{
	LocalSettings: "settings", LocalClockBound: "clock", LocalIdentity: "identity", LocalLoad: "load", LocalShard: "shard",
}

func prettyLocal(name string, stored []byte) string {
	switch rest := stored[1:]; {
	case len(rest) == 0:
		return "/local/" + name
	case stored[0] == LocalShard && len(rest) == 8:
		return fmt.Sprintf("/local/shard/%d", binary.BigEndian.Uint64(rest))
	default:
		return "/local/" + name + "/" + prettyHex(rest)
	}
}

// prettyHexBytes is how many bytes of an unknown key Pretty shows.
const prettyHexBytes = 64

func prettyHex(b []byte) string {
	if len(b) <= prettyHexBytes {
		return hex.EncodeToString(b)
	}
	return fmt.Sprintf("%s… (%d bytes)", hex.EncodeToString(b[:prettyHexBytes]), len(b))
}
