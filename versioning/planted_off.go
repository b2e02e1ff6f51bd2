//go:build !planted_splitdescriptor

package versioning

// putDescriptor adds the encoded descriptor to the batch that holds the versions. Its other form is a
// bug that the crash suite must find; see planted_splitdescriptor.go.
func (a *Applier) putDescriptor(key []byte) error { return a.batch.Put(a.store.shard, key, a.desc) }
