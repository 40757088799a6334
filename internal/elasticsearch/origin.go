package elasticsearch

import "context"

type originKey struct{}

// WithOrigin returns a context whose requests carry the origin, such as the identifier of an execution, in X-Opaque-Id.
// Elasticsearch shows it in its task list, slow logs and deprecation logs.
func WithOrigin(ctx context.Context, origin string) context.Context {
	return context.WithValue(ctx, originKey{}, origin)
}

// originOf returns the origin of the context's requests, or an empty string.
func originOf(ctx context.Context) string {
	origin, _ := ctx.Value(originKey{}).(string)
	return origin
}
