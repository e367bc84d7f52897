package main

import (
	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

const (
	proxyUID     = 1337
	outboundPort = 15001
	inboundPort  = 15006
)

// redirect does in this network namespace what istio-iptables does: TCP of the
// application goes to the sidecar, both ways, unless the flag -i (outbound) or
// -b (inbound) is empty instead of "*". Through netlink, so that neither
// iptables nor nft has to be installed.
func redirect(args []string) error {
	flags := map[string]string{}
	for i := 0; i+1 < len(args); i += 2 {
		flags[args[i]] = args[i+1]
	}
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "istio"})
	out := natChain(conn, table, "output", nftables.ChainHookOutput)
	in := natChain(conn, table, "prerouting", nftables.ChainHookPrerouting)
	add := func(chain *nftables.Chain, parts ...[]expr.Any) {
		var all []expr.Any
		for _, part := range parts {
			all = append(all, part...)
		}
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: all})
	}
	if flags["-i"] == "*" {
		add(out, outgoing("lo"), accept())
		add(out, user(proxyUID), accept())
		add(out, tcp(), redirectTo(outboundPort))
	}
	if flags["-b"] == "*" {
		for _, port := range []uint16{15090, 15021, 15020} {
			add(in, tcp(), destination(port), accept())
		}
		add(in, tcp(), redirectTo(inboundPort))
	}
	return conn.Flush()
}

func natChain(conn *nftables.Conn, table *nftables.Table, name string, hook *nftables.ChainHook) *nftables.Chain {
	return conn.AddChain(&nftables.Chain{
		Name: name, Table: table, Type: nftables.ChainTypeNAT, Hooknum: hook, Priority: nftables.ChainPriorityNATDest,
	})
}

func outgoing(name string) []expr.Any {
	padded := make([]byte, unix.IFNAMSIZ)
	copy(padded, name)
	return meta(expr.MetaKeyOIFNAME, padded)
}

func user(uid uint32) []expr.Any {
	return meta(expr.MetaKeySKUID, binaryutil.NativeEndian.PutUint32(uid))
}

func tcp() []expr.Any {
	return meta(expr.MetaKeyL4PROTO, []byte{unix.IPPROTO_TCP})
}

func meta(key expr.MetaKey, value []byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: key, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: value},
	}
}

func destination(port uint16) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(port)},
	}
}

func accept() []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}}
}

func redirectTo(port uint16) []expr.Any {
	return []expr.Any{
		&expr.Immediate{Register: 1, Data: binaryutil.BigEndian.PutUint16(port)},
		&expr.Redir{RegisterProtoMin: 1},
	}
}
