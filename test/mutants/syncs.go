package mutants

const (
	crashing = "./storage/local"
	crashes  = "TestNoCrashBreaksAPromise/"
)

// Syncs lists the syncs of the local store, left out one by one, and its steps
// in an order that a crash does not survive.
func Syncs() []Mutant {
	return append(syncsOfCreate(), syncsOfTheRest()...)
}

func syncsOfCreate() []Mutant {
	const create = "storage/local/create.go"
	return []Mutant{
		{
			Name:    "does not sync the folders above the root",
			Edits:   []Edit{{"storage/local/store.go", "	return s.fs.SyncDir(parent)\n", "	return nil\n"}},
			Package: crashing, Test: crashes, Says: "(is gone|no such segment)",
		},
		{
			Name:    "does not sync the head of a new segment",
			Edits:   []Edit{{create, "	if err := a.file.Datasync(); err != nil {\n		return err\n	}\n", ""}},
			Package: crashing, Test: crashes, Says: "has lost its head",
		},
		{
			Name: "names a new segment before its head is synced",
			Edits: []Edit{
				{create, "	if err := a.file.Datasync(); err != nil {\n		return err\n	}\n", ""},
				{create, "	return s.fs.SyncDir(s.folderPath(a.id.Folder))\n", "	if err := a.file.Datasync(); err != nil {\n		return err\n	}\n	return s.fs.SyncDir(s.folderPath(a.id.Folder))\n"},
			},
			Package: crashing, Test: crashes, Says: "has lost its head",
		},
		{
			Name:    "does not sync the folders above a new segment's",
			Edits:   []Edit{{create, "		if err := s.fs.SyncDir(parent); err != nil {\n			return err\n		}\n", ""}, {create, "		parent := path\n		path = filepath.Join(parent, part)\n", "		path = filepath.Join(path, part)\n"}},
			Package: crashing, Test: crashes, Says: "(is gone|no such segment)",
		},
		{
			Name: "takes a folder that exists for synced",
			Edits: []Edit{{
				create, "err != nil && !errors.Is(err, fs.ErrExist) {\n			return err\n		}\n",
				"errors.Is(err, fs.ErrExist) {\n			continue\n		} else if err != nil {\n			return err\n		}\n",
			}},
			Package: crashing, Test: crashes, Says: "(is gone|no such segment)",
		},
		{
			Name:    "does not sync the folder of a new segment",
			Edits:   []Edit{{create, "	return s.fs.SyncDir(s.folderPath(a.id.Folder))\n", "	return nil\n"}},
			Package: crashing, Test: crashes, Says: "(is gone|no such segment)",
		},
	}
}

func syncsOfTheRest() []Mutant {
	const store, recovering = "storage/local/store.go", "storage/local/recover.go"
	return []Mutant{
		{
			Name:    "acknowledges appends before they are synced",
			Edits:   []Edit{{"storage/local/appender.go", "	return a.file.Datasync()\n", "	return nil\n"}},
			Package: crashing, Test: crashes, Says: "(has lost what was acknowledged|has changed)",
		},
		{
			Name:    "does not sync what it recovers",
			Edits:   []Edit{{recovering, "	if err := file.Datasync(); err != nil {\n		return 0, err\n	}\n", ""}},
			Package: crashing, Test: crashes, Says: "and it was recovered as",
		},
		{
			Name:    "does not sync the folder of what it recovers",
			Edits:   []Edit{{recovering, "	if err := s.fs.SyncDir(s.folderPath(id.Folder)); err != nil {\n		return 0, err\n	}\n", ""}},
			Package: crashing, Test: crashes, Says: "(is gone|no such segment)",
		},
		{
			Name:    "does not sync the folder of what it removes",
			Edits:   []Edit{{store, "		err = s.fs.SyncDir(s.folderPath(id.Folder))\n", "		err = nil\n"}},
			Package: crashing, Test: crashes, Says: "is back",
		},
		{
			Name:    "takes what is not there for removed",
			Edits:   []Edit{{store, "	if err == nil || missing(err) {\n", "	if err == nil {\n"}},
			Package: crashing, Test: crashes, Says: "has \\[.*\\], want",
		},
	}
}
