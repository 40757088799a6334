package elastic

import "net/http"

// Send sends a request of the caller's own, with a path and a query, and returns the answer whatever its status. It
// goes to another endpoint only where no connection was made; what a node may have seen is not sent again. Credentials
// and address are the cluster's. Errors are problems, with credentials masked.
func (c *Cluster) Send(req *http.Request) (*http.Response, error) {
	on, err := c.clients()
	if err != nil {
		return nil, err
	}
	res, err := on.plain.Perform(req)
	if err != nil {
		return nil, c.transportProblem(req.Method+" "+req.URL.Path, err)
	}
	return res, nil
}
