// Package config finds out what each setting is and who said so.
//
//	flag > PLEIADES_* variable > --config file > context file > system file > default
//
// A setting that several places name is never an error: the first in this order wins, and
// "pleiades config show --origin" tells which. An empty variable counts as not set.
//
// Files are the part of TOML that flat settings need: name = value lines with strings, integers and booleans, and
// comments. Errors name file and line. An unknown name is an error with the known ones, since a misspelled
// setting that is ignored costs more than one that is refused.
//
// The package reads files and the variables that it is given; it has no state.
package config
