package kvwire

import (
	"errors"

	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// ToWire returns err as the error message of a request, with the number of its sentinel. What matches no sentinel and no
// marker is sent without its text (see wire.ErrorOf): log it.
func ToWire(err error) *wire.Error {
	e := wire.ErrorOf(0, err)
	if e.Detail == 0 {
		e.Detail = kverr.NumberOf(err)
	}
	return &e
}

// FromWire returns an error that a call brought back so that errors.Is sees the sentinel that the other side had. Errors
// that no server sent come back as they are.
func FromWire(err error) error {
	e, ok := errors.AsType[*wire.Error](err)
	if !ok {
		return err
	}
	sentinel := kverr.Sentinel(e.Detail)
	if sentinel == nil || wire.CodeOf(sentinel) != e.Code {
		return err // a newer peer's number, or one of another service
	}
	return &remote{err: err, sentinel: sentinel}
}

// remote is an error of a server with the sentinel that it stands for.
type remote struct {
	err      error
	sentinel error
}

func (r *remote) Error() string   { return r.err.Error() }
func (r *remote) Unwrap() []error { return []error{r.sentinel, r.err} }
