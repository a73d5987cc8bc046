package bench
import ("testing";"os";"time";"context";"fmt";"sync"
"runtime/pprof"
)
func TestTmp(t *testing.T){
 b,err:=start(context.Background(),place{Options:Options{Logs:os.Stderr},setting:settings[0],dir:t.TempDir()},allServices)
 if err!=nil{t.Fatal(err)}
 n:=101
 for r:=0;r<2;r++{
 var cs []*call
 t0:=time.Now()
 for i:=0;i<n;i++{c,err:=b.place(context.Background(),true); if err!=nil{t.Fatal(err)}; cs=append(cs,c)}
 fmt.Println("placed",time.Since(t0))
 if r==1 {time.AfterFunc(time.Second,func(){pprof.Lookup("goroutine").WriteTo(os.Stdout,1)})}
 var wg sync.WaitGroup
 hist:=map[int]int{}; var mu sync.Mutex
 for _,c:=range cs{wg.Go(func(){<-c.over; mu.Lock(); hist[int(time.Since(t0)/(100*time.Millisecond))]++; mu.Unlock()})}
 wg.Wait()
 fmt.Println(hist)
 }
 b.end()
}
