// Survive: a process is killed in the middle of a change, and nobody waits for
// it. The next one to take the lock is told, repairs, and goes on.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"syscall"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
	psync "github.com/go-multiproc/multiproc/sync"
)

// Two accounts, which together hold 100.
const total = 100

var transfer = proc.RegisterTask("transfer", func(_ context.Context, accounts *shm.Array[int64]) error {
	accounts.Do(func(v []int64) {
		v[0] -= 30
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL) // between the two halves, with the lock held
		v[1] += 30
	})
	return nil
})

func main() {
	proc.Main()

	ctx := context.Background()
	accounts, err := shm.ArrayOf([]int64{60, 40}, nil)
	check(err)
	p, err := transfer.Start(ctx, accounts, nil)
	check(err)
	err = p.Join(ctx)
	code, _ := p.ExitCode()
	fmt.Println("the transfer ended with code", code, "- an error:", err != nil)

	err = accounts.LockContext(ctx)
	if errors.Is(err, psync.ErrOwnerDied) { // and the lock is held
		v := accounts.View()
		fmt.Println("its owner died; the accounts hold", v[0]+v[1])
		v[1] = total - v[0]
		accounts.MarkConsistent()
		err = nil
	}
	check(err)
	accounts.Unlock()

	fmt.Println("repaired:", accounts.Copy())
	check(accounts.Close())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
