package vacuum_test

func crashChild() bool { return false }
