package doctor

import "os"

// filled replaces what is nil by the real machine.
func (s System) filled() System {
	if s.ReadFile == nil {
		s.ReadFile = os.ReadFile
	}
	if s.Stat == nil {
		s.Stat = os.Stat
	}
	if s.Writable == nil {
		s.Writable = writable
	}
	if s.OpenFiles == nil {
		s.OpenFiles = openFiles
	}
	if s.Clock == nil {
		s.Clock = clockState
	}
	if s.FileSystem == nil {
		s.FileSystem = fileSystem
	}
	return s
}
