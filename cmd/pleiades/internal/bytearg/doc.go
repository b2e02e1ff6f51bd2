// Package bytearg is the syntax in which the command line takes and shows bytes: keys and values are
// byte strings, a shell argument is text.
//
//	hello        the five bytes, as they stand
//	'hello'      the same; inside the quotes \xNN \n \r \t \0 \\ \' are escapes
//	0x68656c6c6f hexadecimal, two digits a byte
//	b64:aGVsbG8= base64, standard or URL alphabet, padding optional
//	-            standard input (values only)
//	@FILE        the contents of FILE (values only)
//
// Invariants:
//  1. Parse(Format(b)) is b for every b: what a table shows can be pasted back (property test).
//  2. Format's output is printable text without a line break whatever b holds.
//  3. No argument is silently taken for something else: 0xZZ and b64:! are errors that name the quoted
//     form, never the literal text.
//
// The package has no state; all functions may run concurrently.
package bytearg
