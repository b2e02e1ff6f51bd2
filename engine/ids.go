package engine

import "strconv"

// ShardID names a shard: one replicated (or embedded) keyspace, kept in a column family of its own.
// 0 is invalid; 1 to 1000 are reserved for the constellation's system shards.
type ShardID uint64

const (
	// LastSystemShard is the highest shard id reserved for system shards.
	LastSystemShard ShardID = 1000
	// FirstUserShard is the first shard id that an application may choose.
	FirstUserShard ShardID = LastSystemShard + 1
)

// String returns the id in decimal, as it stands in family names and messages.
func (id ShardID) String() string { return strconv.FormatUint(uint64(id), 10) }

// Incarnation counts the column families that have stood for one shard on this node: creating a
// shard starts at 1, replacing it takes the next number, so that a batch meant for the old contents
// can never reach the new ones.
type Incarnation uint64

// familyName returns the column family's name: "<shard>" for the first incarnation, "<shard>.<n>"
// for later ones. Part of the format; see docs/disk-layout.md.
func familyName(id ShardID, inc Incarnation) string {
	if inc == 1 {
		return id.String()
	}
	return id.String() + "." + strconv.FormatUint(uint64(inc), 10)
}
