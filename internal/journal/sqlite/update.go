package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"
)

// prepare compiles the statements for appends, because compiling a statement takes longer than running it.
func (s *Store) prepare(ctx context.Context) error {
	s.prepared = map[string]*sql.Stmt{}
	for _, query := range []string{newestEntry, insertEntry, insertOpen, deleteOpen, openExecutions, newestOf,
		newestOfRequest, getBeat, setBeat, essential(oneRecord)} {
		statement, err := s.write.PrepareContext(ctx, query)
		if err != nil {
			return err
		}
		s.prepared[query] = statement
	}
	return nil
}

// transaction is a transaction of database/sql that uses prepared statements if there are any.
type transaction struct {
	*sql.Tx
	prepared map[string]*sql.Stmt
}

func (t transaction) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if statement, ok := t.prepared[query]; ok {
		return t.StmtContext(ctx, statement).ExecContext(ctx, args...)
	}
	return t.Tx.ExecContext(ctx, query, args...)
}

func (t transaction) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if statement, ok := t.prepared[query]; ok {
		return t.StmtContext(ctx, statement).QueryContext(ctx, args...)
	}
	return t.Tx.QueryContext(ctx, query, args...)
}

func (t transaction) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if statement, ok := t.prepared[query]; ok {
		return t.StmtContext(ctx, statement).QueryRowContext(ctx, args...)
	}
	return t.Tx.QueryRowContext(ctx, query, args...)
}

// change is a part of a transaction. It may run again in another transaction if the first one was rolled back.
type change func(ctx context.Context, tx transaction) error

// waiting is a change that waits for a transaction. done has room for its result.
type waiting struct {
	ctx    context.Context //nolint:containedctx // it is that of a caller who waits for done
	change change
	done   chan error
}

// queue contains the changes for the next transaction. It is safe for use by several goroutines.
type queue struct {
	mu  sync.Mutex
	all []*waiting
}

func (q *queue) add(w *waiting) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.all = append(q.all, w)
}

// withdraw removes w, and reports false if w was already taken.
func (q *queue) withdraw(w *waiting) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.all, w)
	if i < 0 {
		return false
	}
	q.all = slices.Delete(q.all, i, i+1)
	return true
}

func (q *queue) take() []*waiting {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.all
	q.all = nil
	return all
}

// update makes change in a transaction that has the write lock from the beginning, and returns after it is durable. The
// wait for the lock ends with ctx. The context doesn't interrupt single statements, each of which takes well under a
// millisecond.
//
// Goroutines that wait at the same time share one transaction, because syncing the disk takes longer than everything
// else. Each change sees those before it, as if it had its own transaction, and every caller waits for the commit. The
// order of an execution's entries is therefore as durable as with a transaction per entry.
func (s *Store) update(ctx context.Context, change change) error {
	w := &waiting{ctx: ctx, change: change, done: make(chan error, 1)}
	s.queue.add(w)
	select {
	case s.turn <- struct{}{}:
		s.commitWaiting(w)
		<-s.turn
	case err := <-w.done:
		return err
	case <-ctx.Done():
		if s.queue.withdraw(w) {
			return ctx.Err()
		}
	}
	return <-w.done
}

// commitWaiting commits all waiting changes, unless another goroutine has committed w. If one of them fails, each gets
// its own transaction, because a failed change rolls back its whole transaction. If the commit fails, all of them have
// failed: nobody knows whether it is durable, so nothing is written again.
func (s *Store) commitWaiting(w *waiting) {
	if len(w.done) > 0 {
		return
	}
	batch, undone, err := s.transact(w.ctx, s.queue.take)
	switch {
	case batch == nil:
		s.queue.withdraw(w)
		w.done <- err
	case undone && len(batch) > 1:
		for _, each := range batch {
			_, _, err := s.transact(each.ctx, func() []*waiting { return []*waiting{each} })
			each.done <- err
		}
	default:
		for _, each := range batch {
			each.done <- err
		}
	}
}

// transact makes the changes that take returns in one transaction, all or none. It calls take once it has the write
// lock. It returns no changes if ctx ended or the lock could not be taken. undone reports that a change failed, and
// that the transaction was rolled back before any commit.
func (s *Store) transact(ctx context.Context, take func() []*waiting) (batch []*waiting, undone bool, err error) {
	// Once the transaction has begun, the context of one caller must not end that of the others.
	lasting, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	begun := context.AfterFunc(ctx, end)
	sqlTx, err := s.write.BeginTx(lasting, nil)
	if !begun() {
		return nil, false, ctx.Err() // and database/sql rolls back
	}
	if err != nil {
		return nil, false, err
	}
	batch = take()
	tx := transaction{Tx: sqlTx, prepared: s.prepared}
	for _, w := range batch {
		err := w.change(context.WithoutCancel(w.ctx), tx) //nolint:contextcheck // the context of its caller
		if err == nil {
			err = w.ctx.Err()
		}
		if err != nil {
			return batch, true, errors.Join(err, ignoreDone(sqlTx.Rollback()))
		}
	}
	return batch, false, sqlTx.Commit()
}

// ignoreDone ignores the error of a transaction that was already rolled back because its context ended.
func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}
