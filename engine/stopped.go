package engine

import "fmt"

// fail stops the engine's writes for good with its first cause. Reads go on, so that an operator can
// still export what is there.
func (e *Engine) fail(cause error) {
	if cause == nil {
		return
	}
	if e.failure.CompareAndSwap(nil, &cause) {
		e.log.Error("engine: writes stopped", "dir", e.dir, "err", cause)
	}
}

// Err returns the error that made the engine stop writing, nil while it is healthy. After it only
// reading, exporting and Close are of use; open the directory again to write.
func (e *Engine) Err() error {
	if p := e.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// stoppedErrOrNil says why the engine takes no writes, nil when it does.
func (e *Engine) stoppedErrOrNil() error {
	if err := e.Err(); err != nil {
		return fmt.Errorf("%w: writes stopped: %w", ErrClosed, err)
	}
	return e.closedErr()
}

// stoppedErr is stoppedErrOrNil with an error in any case.
func (e *Engine) stoppedErr() error {
	if err := e.stoppedErrOrNil(); err != nil {
		return err
	}
	return fmt.Errorf("%w: %s", ErrClosed, e.dir)
}

// closedErr returns ErrClosed once Close was called.
func (e *Engine) closedErr() error {
	if e.closing.Load() {
		return fmt.Errorf("%w: %s", ErrClosed, e.dir)
	}
	return nil
}
