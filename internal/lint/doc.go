// Package lint holds no code, only tests: they read every Go file of this
// module, whatever its build tags, and check the rules that the compiler and
// the common linters do not know. The layers of the module are written here.
// Others compare docs/layout.md with the code.
package lint
