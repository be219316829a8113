package proc

import (
	"errors"
	"sync"

	"github.com/go-multiproc/multiproc/internal/wire"
)

// A parcel is a message that may be wanted no more while it is being sent: its
// descriptors stay open until that is over. A nil parcel is empty.
type parcel struct {
	mu      sync.Mutex
	message *wire.Message
	lent    int
	closed  bool
}

// errGivenUp means that a parcel is wanted no more.
var errGivenUp = errors.New("the argument is wanted no more")

// lend calls send with the message, and returns its error. Of a parcel that is
// empty or closed it is errGivenUp.
func (a *parcel) lend(send func(*wire.Message) error) error {
	if a == nil {
		return errGivenUp
	}
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return errGivenUp
	}
	a.lent++
	a.mu.Unlock()
	err := send(a.message)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.lent--; a.closed && a.lent == 0 {
		a.message.Close()
	}
	return err
}

// close gives the message up.
func (a *parcel) close() {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed && a.lent == 0 {
		a.message.Close()
	}
	a.closed = true
}
