package main_test

import (
	"context"
	"net"
	"path"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/proxy"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
)

// interposed stands between a program and the world's Temporal, and returns the
// address of that. It asks of each call first: an error is the answer.
func (w *world) interposed(t *testing.T, ask func(ctx context.Context, call string) error) string {
	t.Helper()
	server := grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (answer any, err error) {
		if err = ask(ctx, path.Base(info.FullMethod)); err == nil {
			answer, err = handle(ctx, request)
		}
		return answer, serviceerror.ToStatus(err).Err()
	}))
	service, err := proxy.NewWorkflowServiceProxyServer(proxy.WorkflowServiceProxyOptions{Client: w.client.WorkflowService()})
	require.NoError(t, err)
	workflowservice.RegisterWorkflowServiceServer(server, service)
	operatorservice.RegisterOperatorServiceServer(server, operator{client: w.client.OperatorService()})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

// operator passes on what a worker asks of the operator's service.
type operator struct {
	operatorservice.UnimplementedOperatorServiceServer
	client operatorservice.OperatorServiceClient
}

func (o operator) AddSearchAttributes(ctx context.Context, in *operatorservice.AddSearchAttributesRequest) (*operatorservice.AddSearchAttributesResponse, error) {
	return o.client.AddSearchAttributes(ctx, in)
}
