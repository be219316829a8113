package main

// condMutants break Cond.
var condMutants = []mutant{}
