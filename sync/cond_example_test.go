package sync_test

import (
	"context"
	"fmt"

	psync "github.com/go-multiproc/multiproc/sync"
)

// A mailbox holds one letter at a time. In shared memory, its two sides may be
// processes; either may be killed at any moment.
type mailbox struct {
	mu      psync.Mutex
	changed psync.Cond
	letter  int64 // 0: empty
}

func (m *mailbox) put(ctx context.Context, letter int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.changed.WaitFor(ctx, &m.mu, func() bool { return m.letter == 0 }); err != nil {
		return err
	}
	m.letter = letter
	m.changed.Broadcast()
	return nil
}

func (m *mailbox) get(ctx context.Context) (letter int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.changed.WaitFor(ctx, &m.mu, func() bool { return m.letter != 0 }); err != nil {
		return 0, err
	}
	letter, m.letter = m.letter, 0
	m.changed.Broadcast()
	return letter, nil
}

func ExampleCond() {
	var box mailbox // of an shm.Segment, between processes
	ctx := context.Background()
	go func() {
		for i := range int64(3) {
			if err := box.put(ctx, i+1); err != nil {
				panic(err)
			}
		}
	}()
	for range 3 {
		letter, err := box.get(ctx)
		fmt.Println(letter, err)
	}
	// Output:
	// 1 <nil>
	// 2 <nil>
	// 3 <nil>
}
