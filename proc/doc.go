// Package proc runs Go functions in processes of their own: Python's
// multiprocessing.Process.
//
// A function that other processes are to run is registered under a name, in a
// package-level variable. A child process is this program again; its first act
// in main is Main, which runs the function and ends the process.
//
//	var square = proc.RegisterTask("square", func(ctx context.Context, a *shm.Array[int32]) error {
//		a.Do(func(v []int32) {
//			for i := range v {
//				v[i] *= v[i]
//			}
//		})
//		return nil
//	})
//
//	func main() {
//		proc.Main()
//		...
//		p, err := square.Start(ctx, numbers, nil)
//		...
//		err = p.Join(ctx)
//	}
//
// A process costs a millisecond to start and some megabytes, and shares nothing
// that is not handed over. In return it can be killed, and takes nothing along:
// not its parent, not the locks it held, not what others wait for.
//
// Many runs of functions are better given to a pool of processes that wait for
// them:
//
//	pool, err := proc.NewPool(ctx, nil)
//	...
//	squares, err := square.Map(ctx, pool, []int{2, 3, 6, 7}, nil)
//	...
//	err = pool.Close()
//
// See [Pool], [Func.Map] and its like, and [For].
//
// # What a child has
//
// Package-level variables are as initialisation left them: what the function
// needs travels in its argument. os.Args is only a title, so flags have their
// defaults. The working directory and the environment are the parent's. The
// context has no deadline, it is cancelled. Standard input is empty; standard output and
// error are the parent's. The parent's other descriptors, and what this module
// hands down, are closed or hidden when main begins, so that a program which the
// child starts sees none of it. (A descriptor that a C library, or one that is
// preloaded, opens before that without close-on-exec is closed as well, and its
// number goes to another file: a library that keeps one must set close-on-exec,
// or open it later.)
//
// # How a child ends
//
// When its function returns or panics, or something kills it. When the parent
// ends, in any way, its children are killed. (If the program is process 1 of a
// container, or a subreaper, it is given its children's children, dead, and nobody
// waits for them: run it under an init there.) When the context given to Start
// ends, or Terminate is called, the context of the child's function is
// cancelled, and the child is killed if it has not ended when the grace period
// is over. A SIGTERM from elsewhere cancels the context, too. SIGINT, which
// Ctrl-C sends to parent and children alike, is left to the parent.
//
// The context given to Join bounds the waiting only. To wait until a child that
// ran into the deadline of its context is gone, join it with another one; for
// functions that do not look at their context, set a short Options.Grace.
package proc
