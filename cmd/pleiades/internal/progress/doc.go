// Package progress shows how far a long command is, on the last line of a terminal.
//
// A Bar draws nothing on anything but a terminal, nothing in the first second, and at most ten times a second
// after it; it is driven by its owner's calls, so there is no goroutine to stop. The time is an argument.
// A Bar belongs to one goroutine.
package progress
