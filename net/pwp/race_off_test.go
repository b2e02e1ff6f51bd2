//go:build !race

package pwp_test

// raceDetector says that memory figures are those of the race detector.
const raceDetector = false
