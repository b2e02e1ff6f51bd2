//go:build planted_nosync

package engine

// plantedNoSync makes the committer forget its syncs. `make crash-canaries` builds with it, to show
// that the crash suite notices.
const plantedNoSync = true
