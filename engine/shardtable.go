package engine

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// The shard table lives in node-local storage: one record a live shard, naming the incarnation that
// counts. A family without a live record is a leftover and is dropped when the engine opens.
//
//	key:   's' | shard id (8 BE)
//	value: format 1 (1) | incarnation (8 BE) | crc32c (4 BE) of the 9 bytes before
const (
	shardRecordPrefix  = 's'
	shardRecordFormat  = 1
	shardRecordKeyLen  = 9
	shardRecordDataLen = 13
)

func shardRecordKey(id ShardID) []byte {
	return binary.BigEndian.AppendUint64([]byte{shardRecordPrefix}, uint64(id))
}

// appendShardRecord appends the value of a live record.
func appendShardRecord(dst []byte, inc Incarnation) []byte {
	start := len(dst)
	dst = append(dst, shardRecordFormat)
	dst = binary.BigEndian.AppendUint64(dst, uint64(inc))
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// parseShardRecord decodes one row of the shard table.
func parseShardRecord(key, value []byte) (ShardID, Incarnation, error) {
	if len(key) != shardRecordKeyLen || key[0] != shardRecordPrefix {
		return 0, 0, fmt.Errorf("%w: shard table: key %x", ErrCorruption, key)
	}
	id := ShardID(binary.BigEndian.Uint64(key[1:]))
	if len(value) > 0 && value[0] > shardRecordFormat {
		return 0, 0, fmt.Errorf("%w: shard table: record format %d of shard %d", ErrNewerFormat, value[0], id)
	}
	if len(value) != shardRecordDataLen || value[0] != shardRecordFormat {
		return 0, 0, fmt.Errorf("%w: shard table: record of shard %d is %x", ErrCorruption, id, value)
	}
	if binary.BigEndian.Uint32(value[9:]) != crc32.Checksum(value[:9], castagnoli) {
		return 0, 0, fmt.Errorf("%w: shard table: record of shard %d fails its checksum", ErrCorruption, id)
	}
	inc := Incarnation(binary.BigEndian.Uint64(value[1:]))
	if id == 0 || inc == 0 {
		return 0, 0, fmt.Errorf("%w: shard table: shard %d, incarnation %d", ErrCorruption, id, inc)
	}
	return id, inc, nil
}
