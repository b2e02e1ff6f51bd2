// Package exit decides with which code the program ends and which way out an error message offers.
//
// Every error that a command returns goes through Of, which looks for an *Error first and then for the
// shared markers of package base. Scripts rely on the codes, so they never change their meaning:
//
//	0 ok · 1 error · 2 usage · 3 not found · 4 conflict · 5 unavailable, may be tried again
//	6 denied · 7 a check failed · 130 interrupted
//
// The package has no state.
package exit
