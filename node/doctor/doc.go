// Package doctor looks at the machine, the directories and the certificates of a node, and says what is wrong and what to
// do about it. It serves `pleiades doctor`, `pleiades node doctor` and whoever starts a node.
//
//	Options ─┬─ System ──── limits, clock, kernel settings, file systems ─┐
//	         ├─ DataDir, CertsDir, Advertise ─────────────────────────────┼─► Run ─► []Result{Name, Verdict, Found, Fix}
//	         └─ Library, StoreClock ── what only the caller can know ─────┘
//
// A Check's name is stable, for scripts; its texts are for people.
//
// # Invariants
//
//  1. Nothing is changed: no directory is made, no file written, no setting touched.
//  2. Every Result says what was found, with its number and unit; one that is not OK says the way out.
//  3. Warn: a node runs, and slower or less safely than it could. Fail: it does not start, or is going to stop.
//  4. What cannot be found out on this system is a Warn that says so, never an OK.
//
// # Concurrency, crashes
//
// Run is a pure function of what it reads; it keeps nothing and may run while a node does.
package doctor
