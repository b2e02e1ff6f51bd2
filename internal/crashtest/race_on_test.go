//go:build race

package crashtest

// defaultStates is small under the race detector: there it is the harness and the engine's goroutines
// that are looked at, not the states.
const defaultStates = 40
