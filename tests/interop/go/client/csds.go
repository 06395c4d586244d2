package main

import (
	"context"
	"strings"

	status "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	"google.golang.org/grpc/xds/csds"
)

type resource struct {
	Type         string `json:"type"`
	Name         string `json:"name"`
	Version      string `json:"version"`
	ClientStatus string `json:"client_status"`
	Error        string `json:"error"`
}

// held is what the xDS clients of this process hold, from their own client status discovery service (CSDS).
func held() ([]resource, error) {
	service, err := csds.NewClientStatusDiscoveryServer()
	if err != nil {
		return nil, err
	}
	defer service.Close()
	response, err := service.FetchClientStatus(context.Background(), &status.ClientStatusRequest{})
	if err != nil {
		return nil, err
	}
	all := []resource{}
	for _, config := range response.GetConfig() {
		for _, one := range config.GetGenericXdsConfigs() {
			all = append(all, resource{
				Type:         one.GetTypeUrl()[strings.LastIndexByte(one.GetTypeUrl(), '/')+1:],
				Name:         one.GetName(),
				Version:      one.GetVersionInfo(),
				ClientStatus: one.GetClientStatus().String(),
				Error:        one.GetErrorState().GetDetails(),
			})
		}
	}
	return all, nil
}
