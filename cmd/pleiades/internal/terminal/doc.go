// Package terminal tells terminals from files and pipes.
package terminal
