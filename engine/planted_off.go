//go:build !planted_nosync

package engine

// plantedNoSync is a bug that the crash suite must find; see planted_nosync.go.
const plantedNoSync = false
