// Package crashfs is a file system in memory that can crash, for tests of what
// stands on local.FS. It does as an operating system does, keeps apart what was
// synced from what was not, and makes a copy of itself at any moment, as it
// would be after a crash at that moment; the original goes on undisturbed.
//
// It promises no more than POSIX does:
//
//   - Datasync makes the bytes and the length of a file durable, SyncDir the
//     entries of a folder. Neither does anything for the other, nor for the
//     folders above, nor is there a journal that keeps operations in order.
//   - Of the writes to a file since its Datasync, each may survive a power cut,
//     whole or in part, or not, whatever became of the others. What is missing
//     below the end is zeros.
//   - A folder's entry may be, after a power cut, in any of the states that it
//     was in since the SyncDir, whatever became of the other entries.
//   - A process that is killed loses its locks, and nothing else. What it did
//     not sync is seen by the next process, and may be lost later.
//
// It has no permissions, no renaming, and no faults: an operation does what it
// should.
package crashfs
