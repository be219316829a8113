package main

// rwMutexMutants break RWMutex.
var rwMutexMutants = []mutant{}
