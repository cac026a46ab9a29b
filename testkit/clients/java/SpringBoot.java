package clients;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.web.client.RestTemplateBuilder;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.client.RestTemplate;

/** Spring MVC and its RestTemplate. */
@SpringBootApplication
@RestController
public class SpringBoot {
    private final RestTemplate client;

    SpringBoot(RestTemplateBuilder builder) {
        client = builder.build();
    }

    @GetMapping("/")
    String serve() {
        return client.getForObject(System.getenv("URL"), String.class);
    }

    public static void main(String[] arguments) {
        SpringApplication.run(SpringBoot.class, arguments);
    }
}
