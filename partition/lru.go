package partition

import "container/list"

// lru keeps values up to a total cost; the one that was used longest ago goes
// first. It is not safe for concurrent use.
type lru[K comparable, V any] struct {
	limit, cost int64
	byKey       map[K]*list.Element
	order       list.List // of *lruEntry[K, V], newest first
	// evicted, if not nil, hears of each value that leaves.
	evicted func(V)
}

type lruEntry[K comparable, V any] struct {
	key   K
	value V
	cost  int64
}

func newLRU[K comparable, V any](limit int64) *lru[K, V] {
	return &lru[K, V]{limit: limit, byKey: map[K]*list.Element{}}
}

func (c *lru[K, V]) get(key K) (value V, ok bool) {
	e, ok := c.byKey[key]
	if !ok {
		return value, false
	}
	c.order.MoveToFront(e)
	return entryOf[K, V](e).value, true
}

// has tells whether a key is there; that is no use of it.
func (c *lru[K, V]) has(key K) bool { return c.byKey[key] != nil }

func (c *lru[K, V]) put(key K, value V, cost int64) {
	c.remove(key)
	c.byKey[key] = c.order.PushFront(&lruEntry[K, V]{key, value, cost})
	c.cost += cost
	for c.cost > c.limit {
		c.remove(entryOf[K, V](c.order.Back()).key)
	}
}

func (c *lru[K, V]) remove(key K) {
	e, ok := c.byKey[key]
	if !ok {
		return
	}
	entry := entryOf[K, V](e)
	c.order.Remove(e)
	delete(c.byKey, key)
	c.cost -= entry.cost
	if c.evicted != nil {
		c.evicted(entry.value)
	}
}

// removeIf removes all values whose key is meant.
func (c *lru[K, V]) removeIf(meant func(K) bool) {
	for key := range c.byKey {
		if meant(key) {
			c.remove(key)
		}
	}
}

func entryOf[K comparable, V any](e *list.Element) *lruEntry[K, V] {
	entry, _ := e.Value.(*lruEntry[K, V]) // nothing else is in the list
	return entry
}
