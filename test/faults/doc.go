// Package faults holds what must be true of a partition while its store fails
// under it: when the disk is full, when any one operation fails, when the store
// hangs.
//
//   - every error has a kind that allows to send the same batch again;
//   - what was acknowledged is there, what was not is there at most once, and a
//     producer that sends again gets everything stored once and in order;
//   - what waits in memory is bounded;
//   - once the store is back everything goes on, without a restart.
//
// Random mixtures of faults are test/model's; a process that dies is
// test/crash's. Here each fault is met alone, and what it answers is looked at.
package faults
